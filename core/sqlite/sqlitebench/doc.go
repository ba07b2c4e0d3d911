// Package sqlitebench is what package sqlite gives to be measured, and what a program that
// only saves runs does not carry: how many rows a database holds.
package sqlitebench
