package child_test

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/flujo/flujo-harness/harness/child"
)

// On Linux the kernel ends the command when this process ends, however that happens.
func ExampleRun() {
	cmd := exec.Command("go", "version")
	cmd.Stdout = os.Stdout
	if err := child.Run(cmd); err != nil {
		fmt.Println(child.Explained(err))
	}
}
