// Package selftest has the commands that test the product itself: a gate that must
// notice every corruption, its error rates, and experiments that try to lose data.
package selftest
