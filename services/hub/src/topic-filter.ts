/** Whether a topic filter matches a topic name (MQTT 3.1.1, 4.7). */
export function filterMatches(topicFilter: string, topic: string): boolean {
  // [MQTT-4.7.2-1]: a leading wildcard does not match topics of the server itself.
  if (topic.startsWith("$") && (topicFilter.startsWith("+") || topicFilter.startsWith("#"))) return false;
  const wanted = topicFilter.split("/");
  const levels = topic.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length || (wanted[i] !== "+" && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}
