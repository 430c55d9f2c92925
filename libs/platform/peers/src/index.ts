export { formerClusterCertificate } from './left-behind.js';
export { MemberDirectory } from './member-directory.js';
export { MembersServer } from './members-server.js';
export { PeersModule } from './peers.module.js';
