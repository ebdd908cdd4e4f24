/**
 * Text from elsewhere inside GitHub Flavored Markdown (https://github.github.com/gfm/): no markup, no HTML, no link, also none
 * that GFM would make of a bare address or a client would make of an entity.
 */

/** Longest text from elsewhere in a card, characters. */
const LONGEST = 300;

/** One line of literal text. Control and direction characters are dropped: they can reverse what is read. */
export function escapeMarkdown(text: string): string {
  const oneLine = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  const short = [...oneLine].length > LONGEST ? `${[...oneLine].slice(0, LONGEST - 1).join('')}…` : oneLine;
  return (
    short
      .replace(/&/g, '&amp;')
      .replace(/</g, '&lt;')
      .replace(/>/g, '&gt;')
      // Extended autolinks: www., http(s)://, ftp://, mail addresses (GFM 6.9).
      .replace(/:(?=\/\/)/g, '&#58;')
      .replace(/@/g, '&#64;')
      .replace(/\b(www)\./gi, '$1&#46;')
      .replace(/[\\`*_{}[\]()#|~$]/g, (character) => `&#${character.codePointAt(0)};`)
      // What begins a list, a quote or a rule does so only at the start of a line.
      .replace(/^[-+=]/, (character) => `&#${character.codePointAt(0)};`)
      .replace(/^(\d{1,9})\./, '$1&#46;')
  );
}
