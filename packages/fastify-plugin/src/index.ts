// A placeholder until the plugin is written, so that the package builds.
export {}
