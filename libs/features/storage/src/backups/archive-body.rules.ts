/** Whether a body is a backup to import and not a request in JSON. */
export function isArchive(contentType: string): boolean {
  return contentType.split(';', 1)[0]!.trim().toLowerCase() === 'application/octet-stream';
}
