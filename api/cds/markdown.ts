/**
 * Text from elsewhere inside GitHub Flavored Markdown (https://github.github.com/gfm/): no markup, no HTML, no link, also none
 * that GFM would make of a bare address or a client would make of an entity.
 */

/** Longest text from elsewhere in a card, characters. */
const LONGEST = 300;

/**
 * What means something in GFM: everywhere; at the start of the line only (lists, rules); and in what would be linked by itself
 * (GFM 6.9: "://" after a scheme, "www.", an at sign). In one pass, so that no reference is taken apart by the next.
 */
const MARKUP = /[&\\`*_{}[\]()#|~$@]|^[-+=]|:(?=\/\/)|(?<=\bwww)\./gi;

/** One line of literal text. Control and direction characters are dropped: they can reverse what is read. */
export function escapeMarkdown(text: string): string {
  const oneLine = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  const short = [...oneLine].length > LONGEST ? `${[...oneLine].slice(0, LONGEST - 1).join('')}…` : oneLine;
  const literal = short
    .replace(MARKUP, (character) => `&#${character.codePointAt(0)};`)
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;');
  return literal.replace(/^(\d{1,9})\./, '$1&#46;');
}
