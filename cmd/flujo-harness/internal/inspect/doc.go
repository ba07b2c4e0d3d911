// Package inspect has the commands that look at the runs of an engine and at this
// machine: runs, trace and doctor.
package inspect
