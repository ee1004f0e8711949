/** Elements of SVG as text. */

export type Attributes = { [name: string]: string | number };

/** An element on lines of its own; children are markup already. Numbers are cut to a tenth. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const start = `<${name}${attributesText(attributes)}`;
  return children.length === 0 ? `${start}/>` : `${start}>\n${children.join("\n")}\n</${name}>`;
}

/** An element that holds text: a word on the drawing, a title, a description. */
export function textElement(name: string, attributes: Attributes, text: string): string {
  return `<${name}${attributesText(attributes)}>${escaped(text)}</${name}>`;
}

function attributesText(attributes: Attributes): string {
  const pairs = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(textOf(value))}"`);
  return pairs.join("");
}

function textOf(value: string | number): string {
  return typeof value === "string" ? value : String(Math.round(value * 10) / 10);
}

const ENTITIES: { [character: string]: string } = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}
