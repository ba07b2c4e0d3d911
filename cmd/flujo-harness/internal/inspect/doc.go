// Package inspect contains the commands runs and trace, which show the saved runs of an engine,
// and doctor, which checks this machine.
package inspect
