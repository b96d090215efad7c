// Package settings fills the flags that a command line leaves unset: from variables of the environment, and from a strict YAML file. It knows flags
// only; which commands there are, and which section of the file speaks for which of them, it is told.
package settings
