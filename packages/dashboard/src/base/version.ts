declare const __PINTAIL_VERSION__: string | undefined

/** Of this package, as it was built; `source` where it was not. */
export const version: string = typeof __PINTAIL_VERSION__ === 'string' ? __PINTAIL_VERSION__ : 'source'
