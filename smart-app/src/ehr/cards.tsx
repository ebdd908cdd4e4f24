import { useState } from 'react';
import Markdown from 'react-markdown';
import { reportOverride } from './cds.ts';
import type { ShownCard } from './cds.ts';

/** What is said of a card that was put aside. */
export const PUT_ASIDE = 'Thank you. The reason was sent to the service.';

export interface CardsProps {
  /** Of what the cards speak, for screen readers. */
  readonly about: string;
  readonly cards: readonly ShownCard[];
  /** What to say where there is none. */
  readonly silence: string;
  /** With the `appContext` of the link. */
  readonly onOpenApp: (appContext: string | undefined) => void;
  readonly onOverridden: (card: ShownCard) => void;
}

/** Cards as an EHR shows them: summary first, detail as Markdown, links, and the reasons to go on all the same. */
export function Cards({ about, cards, silence, onOpenApp, onOverridden }: CardsProps) {
  const [notSent, setNotSent] = useState<string>();
  const putAside = (card: ShownCard, reason: { system: string; code: string }): void => {
    setNotSent(undefined);
    reportOverride(card, reason).then(
      () => onOverridden(card),
      () => setNotSent(card.uuid),
    );
  };
  return (
    <div className="cards" role="region" aria-label={`Decision support for ${about}`} aria-live="polite">
      {cards.length === 0 && <p className="quiet">{silence}</p>}
      {cards.map((card) => (
        <article key={card.uuid} className={`card ${card.indicator}`} data-card={card.uuid}>
          <h3>{card.summary}</h3>
          <div className="detail">
            <Markdown disallowedElements={['img']}>{card.detail ?? ''}</Markdown>
          </div>
          <p className="quiet">{card.source.label}</p>
          <p className="actions">
            {card.links?.map((link) => (
              <button key={link.url} type="button" className="primary" onClick={() => onOpenApp(link.appContext)}>
                {link.label}
              </button>
            ))}
          </p>
          <div className="actions" role="group" aria-label="Reasons to go on without it">
            {card.overrideReasons !== undefined && <span className="quiet">Put aside:</span>}
            {card.overrideReasons?.map((reason) => (
              <button key={reason.code} type="button" className="plain" onClick={() => putAside(card, reason)}>
                {reason.display ?? reason.code}
              </button>
            ))}
            {notSent === card.uuid && <span>The reason could not be sent: try again.</span>}
          </div>
        </article>
      ))}
    </div>
  );
}
