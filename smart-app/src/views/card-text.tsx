/** A model card as it is meant to be read. It comes from the chart: no markup, picture or link of it takes effect. */
import type { ReactNode } from 'react';
import Markdown from 'react-markdown';
import type { Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';

/** Below the heading of its panel. */
const COMPONENTS: Components = {
  h1: ({ children }) => <h3>{children}</h3>,
  h2: ({ children }) => <h4>{children}</h4>,
  h3: ({ children }) => <h5>{children}</h5>,
  th: ({ children }) => (children === undefined ? <td /> : <th>{children}</th>),
  a: ({ children }) => <>{children}</>,
  img: ({ alt }) => <span className="quiet">[Picture: {alt}]</span>,
};

export default function CardText({ markdown }: { readonly markdown: string }): ReactNode {
  return (
    <Markdown remarkPlugins={[remarkGfm]} components={COMPONENTS}>
      {markdown}
    </Markdown>
  );
}
