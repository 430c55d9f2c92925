import { Controller, Global, Module } from '@nestjs/common';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { it } from 'vitest';
import { Logger, SilentLogger } from '#kernel';
import { Authenticator, ServerCertificates } from '#platform/auth';
import { createApiApp } from './create-api-app.js';
import { AllowUntrusted, Ctx, Get } from './decorators.js';
import { HttpModule } from './http.module.js';
import { syncResponse, type ApiResponse } from './responses.js';
import type { RequestContext } from '#kernel';
const exts = Array.from({ length: 318 }, (_, i) => `extension_number_${i}_name`);
@Controller()
class C {
  @Get('/') @AllowUntrusted() root(): string[] { return ['/1.0']; }
  @Get('/1.0') @AllowUntrusted() get(@Ctx() _ctx: RequestContext): ApiResponse { return syncResponse({ config: { a: 'b' }, api_extensions: exts, auth: 'trusted' }, { etag: { a: 'b' } }); }
}
@Global()
@Module({ providers: [{ provide: Logger, useClass: SilentLogger }, { provide: ServerCertificates, useValue: {} }, { provide: Authenticator, useValue: { identify: () => ({ username: 'root', protocol: 'unix', address: '@', trusted: true, allowedProjects: null }) } }], exports: [Logger, ServerCertificates, Authenticator] })
class F {}
@Module({ imports: [F, HttpModule], controllers: [C] })
class T {}
it('bench', async () => {
  const api = await createApiApp(T);
  await api.server.listenUnix('/tmp/zzbench.sock');
  for (const [p, c] of [['/', '1'], ['/1.0', '1'], ['/1.0', '1'], ['/1.0', '16']] as const) console.log((await promisify(execFile)(process.execPath, ['/tmp/httpbench.mjs', '/tmp/zzbench.sock', p, c, '3'])).stdout);
  await api.server.close();
}, 60000);
