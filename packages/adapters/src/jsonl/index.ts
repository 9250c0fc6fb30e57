// A placeholder until the adapter is written, so that the package builds.
export {}
