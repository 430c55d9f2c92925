/** Errors that are about the body of a request and nothing else. */
const refused = new WeakSet<object>();

/** Marks an error as one about the body. Returns it. */
export function ofBody(error: unknown): unknown {
  if (error instanceof Error) refused.add(error);
  return error;
}

export function isOfBody(error: unknown): boolean {
  return error instanceof Error && refused.has(error);
}
