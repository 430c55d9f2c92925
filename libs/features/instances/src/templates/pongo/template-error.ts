import { internal, type AppError } from '#kernel';

/** In the form that LXD's own engine gives its errors. */
export function templateError(where: 'lexer' | 'parser' | 'execution', place: { readonly line: number; readonly column: number; readonly text?: string }, message: string): AppError {
  const near = place.text === undefined ? '' : ` near '${place.text}'`;
  return internal(`[Error (where: ${where}) in <string> | Line ${place.line} Col ${place.column}${near}] ${message}`);
}
