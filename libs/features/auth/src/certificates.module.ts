import { Module } from '@nestjs/common';
import { CertificateTokens } from './certificate-tokens.service.js';
import { CertificatesController } from './certificates.controller.js';
import { CertificatesRepository } from './certificates.repository.js';
import { CertificatesService } from './certificates.service.js';

/** `/1.0/certificates`. Needs the server module. */
@Module({ controllers: [CertificatesController], providers: [CertificatesRepository, CertificateTokens, CertificatesService] })
export class CertificatesModule {}
