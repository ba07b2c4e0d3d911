package codec

import (
	"fmt"
	"runtime"
	"strings"
)

// PanicError is a panic of a function of the pipeline, or of a method of its scope.
type PanicError struct {
	Value any
	Stack []byte // from the panic up to the engine: functions, files and lines
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value where it is an error: a fault of the harness stays one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Contain, deferred, turns a panic of the user's code into a [*PanicError].
func Contain(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: StackOfUser()}
	}
}

// enginePackages begin the names of all functions of this package and of package
// core. Packages below core that only use the engine are not among them.
var enginePackages = func() [2]string {
	pc, _, _, _ := runtime.Caller(0)
	name := runtime.FuncForPC(pc).Name()
	slash := strings.LastIndexByte(name, '/')
	own := name[:slash+1+strings.IndexByte(name[slash+1:], '.')+1]
	return [2]string{own, strings.TrimSuffix(own, "/internal/codec.") + "."}
}()

func ofEngine(function string) bool {
	return strings.HasPrefix(function, enginePackages[0]) || strings.HasPrefix(function, enginePackages[1])
}

// StackOfUser, called by a deferred function after a panic, returns the stack from
// the panic up to the engine. It has no numbers of goroutines and no addresses, and
// does not depend on the path the engine took: the same panic has the same stack
// after a resume.
func StackOfUser() []byte {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var stack strings.Builder
	panicked := false
	for {
		f, more := frames.Next()
		switch {
		case !panicked:
			panicked = f.Function == "runtime.gopanic"
		case strings.HasPrefix(f.Function, "runtime.") && stack.Len() == 0: // a fault of the program
		case ofEngine(f.Function) && stack.Len() > 0:
			return []byte(stack.String())
		default:
			fmt.Fprintf(&stack, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return []byte(stack.String())
		}
	}
}
