import { Global, Module, type DynamicModule } from '@nestjs/common';
import { Clock, StateDirectory, SystemClock } from '#kernel';
import { Authenticator } from './authenticator.js';
import { ClusterCertificates } from './cluster-certificates.js';
import { preparePeerCredentials } from './peer-credentials.js';
import { ServerCertificates } from './server-certificates.js';
import { DatabaseTrustStore, TrustStore } from './trust-store.js';

/** Trust for the whole daemon; needs the database module. */
@Global()
@Module({})
export class AuthModule {
  static forRoot(options: { directory: StateDirectory; clock?: Clock }): DynamicModule {
    return {
      module: AuthModule,
      providers: [
        { provide: TrustStore, useClass: DatabaseTrustStore },
        {
          provide: ServerCertificates,
          useFactory: async () => {
            const certificates = new ServerCertificates(options.directory);
            preparePeerCredentials();
            await certificates.prepare();
            return certificates;
          },
        },
        {
          provide: ClusterCertificates,
          useFactory: (server: ServerCertificates) => {
            const certificates = new ClusterCertificates(options.directory, server);
            certificates.prepare();
            return certificates;
          },
          inject: [ServerCertificates],
        },
        {
          provide: Authenticator,
          useFactory: (trust: TrustStore, certificates: ServerCertificates) =>
            new Authenticator(trust, certificates, options.clock ?? new SystemClock()),
          inject: [TrustStore, ServerCertificates],
        },
      ],
      exports: [TrustStore, ServerCertificates, ClusterCertificates, Authenticator],
    };
  }
}
