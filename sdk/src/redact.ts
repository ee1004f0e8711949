/** Replaces user and password of every hub address in a text, so that it can be shown: `mqtt://…@host`. */
export function redactUrls(text: string): string {
  return text.replace(/\b((?:mqtts?|wss?|https?):\/\/)[^\s"'<>]*@/gi, "$1…@");
}
