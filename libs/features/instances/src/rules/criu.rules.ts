/** What is said where CRIU is asked for and is not installed, in LXD's words. */
export const noCriu = "CRIU isn't installed";
export const noLiveMigration = `Unable to perform container live migration. ${noCriu}`;
