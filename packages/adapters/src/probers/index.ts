export type { ExpiryOptions } from './expiry.ts'
export { type HttpOptions, http } from './http.ts'
export type { CertificateOptions } from './secure.ts'
export { type TlsOptions, tls } from './tls.ts'
