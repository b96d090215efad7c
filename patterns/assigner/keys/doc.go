// Package keys keeps the keys of a broker and of its peers in files: a folder of the broker's with its secret key and the list of who may come in, and files
// with the one string that a peer was given. Files with secrets that others can read are not read.
package keys
