/**
 * `deadline` of a gRPC call: the library counts by the wall clock. It sets its timer when the call begins, so a clock that is put back later does no harm;
 * whoever keeps such a moment and looks at it again would wait too long (`Deadline` of kernel).
 */
export function deadlineIn(ms: number): Date {
  return new Date(new Date().getTime() + ms);
}
