// Package sdks tests package provider with the SDKs of the providers. It is a module of its
// own, so that the SDKs become dependencies of nobody who uses package provider.
package sdks
