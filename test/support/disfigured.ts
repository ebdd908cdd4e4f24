/** The resource with each of its fields in turn, at any depth, of another kind. */
export function* disfigured(resource: unknown): Generator<[field: string, value: unknown]> {
  for (const [key, value] of Object.entries(resource as object)) {
    const having = (other: unknown): unknown =>
      Array.isArray(resource) ? resource.with(Number(key), other) : { ...(resource as object), [key]: other };
    for (const other of [null, 7, true, 'text', [], [null], {}]) yield [key, having(other)];
    if (typeof value === 'object' && value !== null) {
      for (const [field, inner] of disfigured(value)) yield [`${key}.${field}`, having(inner)];
    }
  }
}
