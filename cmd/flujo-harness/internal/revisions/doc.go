// Package revisions reads the limits and the plan of another revision.
package revisions
