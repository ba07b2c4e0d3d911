// Package measure contains the commands that measure this machine (calibrate, cost), and the
// flags and sessions that all measuring commands share.
package measure
