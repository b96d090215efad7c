// Package patterns is the folder of what embedders import: one package per pattern, each joining actors, bridge and
// supervision into a ready thing.
package patterns
