// Package measure has the commands that measure this machine (calibrate, cost), and the
// flags and the sessions of every command that measures.
package measure
