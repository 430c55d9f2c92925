/** The release of LXD whose client this one stands in for. */
export const version = '5.0.2';
