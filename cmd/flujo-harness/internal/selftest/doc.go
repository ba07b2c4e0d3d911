// Package selftest contains the commands that test flujo-harness itself: corruptions that the
// gate must reject, the error rates of the gate, and experiments that try to lose data.
package selftest
