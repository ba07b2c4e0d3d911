package child

import (
	"fmt"
	"os"
	"strings"
)

const kernelEndsChildren = true

// running reports whether the process exists and is not a zombie.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := string(text)[strings.LastIndexByte(string(text), ')')+1:]
	return !strings.HasPrefix(state, " Z") && !strings.HasPrefix(state, " X")
}
