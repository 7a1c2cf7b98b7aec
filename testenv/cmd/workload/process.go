package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// again returns a command that runs this program with other arguments and the
// same three streams.
func again(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// rename sets the name that `ps` and the kernel show, as prctl(PR_SET_NAME) does.
func rename(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want a name and a command")
	}
	if err := os.WriteFile("/proc/self/comm", []byte(args[0]), 0); err != nil {
		return fmt.Errorf("set process name: %w", err)
	}
	return run(args[1:])
}

// doublefork has a child start the command and end at once, so that the command
// belongs to the container's first process. The pipe tells when it ended.
func doublefork(args []string) error {
	if len(args) > 0 && args[0] == "-child" {
		return startDetached(args[1:], os.NewFile(3, "alive"))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	child := again(append([]string{"doublefork", "-child"}, args...)...)
	child.ExtraFiles = []*os.File{w}
	err = child.Run()
	w.Close()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

func startDetached(args []string, alive *os.File) error {
	cmd := again(args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{alive}
	return cmd.Start()
}

// outlive starts the command in a session of its own and ends; the command
// begins when this process is gone, which closes the pipe's other end.
func outlive(args []string) error {
	if len(args) > 0 && args[0] == "-child" {
		if _, err := io.Copy(io.Discard, os.NewFile(3, "parent")); err != nil {
			return err
		}
		return run(args[1:])
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	return startDetached(append([]string{"outlive", "-child"}, args...), r)
}

// forkbomb starts a chain of trees: each process starts two with half of what is
// left to start, and prints how many ran below and including itself.
func forkbomb(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want N")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > 10000 {
		return fmt.Errorf("N is %q, want 1 to 10000", args[0])
	}
	total := 1
	var children []*exec.Cmd
	var outputs []*strings.Builder
	for _, share := range []int{(n - 1) / 2, n - 1 - (n-1)/2} {
		if share == 0 {
			continue
		}
		cmd, out := again("forkbomb", strconv.Itoa(share)), &strings.Builder{}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			return err
		}
		children, outputs = append(children, cmd), append(outputs, out)
	}
	for i, cmd := range children {
		if err := cmd.Wait(); err != nil {
			return err
		}
		ran, err := strconv.Atoi(strings.TrimSpace(outputs[i].String()))
		if err != nil {
			return err
		}
		total += ran
	}
	_, err = fmt.Println(total)
	return err
}
