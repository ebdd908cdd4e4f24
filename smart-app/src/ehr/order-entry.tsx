import { useEffect, useRef, useState } from 'react';
import { Cards, PUT_ASIDE } from './cards.tsx';
import type { CardsProps } from './cards.tsx';
import { fireHook } from './cds.ts';
import type { ShownCard } from './cds.ts';
import { CATALOG, toOrder } from './orders.ts';

interface OrderEntryProps extends Pick<CardsProps, 'onOpenApp'> {
  readonly patientId: string;
  /** Why no card comes; empty where they come. */
  readonly silenced: string;
  /** Raised when something was written into the chart: what a card said before that no longer counts. */
  readonly revision: number;
}

/** Order entry: choosing fires order-select, signing fires order-sign. Nothing is ordered for anyone. */
export function OrderEntry({ patientId, silenced, revision, onOpenApp }: OrderEntryProps) {
  const [chosen, setChosen] = useState<number>();
  const [cards, setCards] = useState<readonly ShownCard[]>([]);
  const [said, setSaid] = useState('Choose an order: the decision support is asked while you choose.');
  /** Counts the questions: only the last one may answer, for this patient and this order. */
  const asked = useRef(0);

  useEffect(() => {
    asked.current += 1;
    setChosen(undefined);
    setCards([]);
    setSaid('Choose an order: the decision support is asked while you choose.');
  }, [patientId, revision]);

  const fire = async (hook: 'order-select' | 'order-sign', index: number): Promise<void> => {
    const question = (asked.current += 1);
    setCards([]);
    setSaid('The decision support is asked …');
    const { cards: shown, silent } = await fireHook(hook, patientId, [toOrder(CATALOG[index], patientId)]);
    if (question !== asked.current) return;
    setCards(shown);
    const nothing = silent === 0 ? 'No card: nothing useful to say' : 'The decision support did not answer';
    setSaid(
      hook === 'order-select'
        ? `${nothing} about this order.`
        : `Signed (in the sandbox nothing is ordered). ${nothing} about it.`,
    );
  };
  return (
    <section aria-labelledby="orders">
      <h2 id="orders">New order</h2>
      <div className="order">
        <label>
          Order{' '}
          <select
            value={chosen ?? ''}
            onChange={(event) => {
              const index = Number(event.target.value);
              setChosen(index);
              void fire('order-select', index);
            }}
          >
            <option value="" disabled>
              choose …
            </option>
            {CATALOG.map(({ name }, index) => (
              <option key={name} value={index}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          disabled={chosen === undefined}
          onClick={() => chosen !== undefined && void fire('order-sign', chosen)}
        >
          Sign
        </button>
      </div>
      <Cards
        about="the order"
        cards={cards}
        silence={silenced || said}
        onOpenApp={onOpenApp}
        onOverridden={(card) => {
          setCards((shown) => shown.filter(({ uuid }) => uuid !== card.uuid));
          setSaid(PUT_ASIDE);
        }}
      />
    </section>
  );
}
