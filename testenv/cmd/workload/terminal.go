package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// setMode changes the terminal at fd and returns what undoes it.
func setMode(fd int, change func(*unix.Termios)) (func() error, error) {
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read terminal mode: %w", err)
	}
	mode := *old
	change(&mode)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &mode); err != nil {
		return nil, fmt.Errorf("set terminal mode: %w", err)
	}
	return func() error { return unix.IoctlSetTermios(fd, unix.TCSETSW, old) }, nil
}

func makeRaw(m *unix.Termios) {
	m.Iflag, m.Oflag, m.Lflag = 0, 0, 0
	m.Cflag = m.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	m.Cc[unix.VMIN], m.Cc[unix.VTIME] = 1, 0
}

// raw leaves the terminal raw when the command ended: the session ends with it.
func raw(args []string) error {
	if _, err := setMode(1, makeRaw); err != nil {
		return err
	}
	return run(args)
}

func openpty(args []string) error {
	master, slave, err := pty.Open()
	if err != nil {
		return err
	}
	defer master.Close()
	if _, err := setMode(int(slave.Fd()), makeRaw); err != nil {
		return err
	}
	src, n, err := source(args, false)
	if err != nil {
		return err
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := io.Copy(plain{slave}, src)
		wrote <- err
	}()
	_, err = io.CopyN(plain{os.Stdout}, plain{master}, n)
	slave.Close()
	if werr := <-wrote; err == nil {
		err = werr
	}
	return err
}

// prompt asks as sudo, ssh and mysql do: echo off for the secret only, line by line.
func prompt([]string) error {
	in := bufio.NewReaderSize(os.Stdin, 16) // reads no further than one line: the terminal gives no more
	fmt.Print("Password: ")
	restore, err := setMode(0, func(m *unix.Termios) { m.Lflag &^= unix.ECHO })
	if err != nil {
		return err
	}
	secret, err := in.ReadString('\n')
	if rerr := restore(); err == nil {
		err = rerr
	}
	if err != nil {
		return err
	}
	fmt.Printf("\nName: ")
	name, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%d letters, %q\n", len(secret)-1, name)
	return err
}

// escapes prints what a reader's terminal must not be let act on, between
// plain words that must be shown.
func escapes([]string) error {
	for _, e := range []string{
		"\x1b]52;c;aGFja2Vk\a",         // write the clipboard
		"\x1b]52;c;?\x1b\\",            // read the clipboard
		"\x1b]0;hostile title\a",       // title
		"\x1b[21t",                     // report the title as input
		"\x1b[6n",                      // report the cursor as input
		"\x1b[c\x1b[>c\x1b[=c",         // report the device as input
		"\x1bP$q\"p\x1b\\",             // report a setting as input
		"\x1bP+q544e\x1b\\",            // report a capability as input
		"\x1b]50;?\a",                  // report the font as input
		"\x1b]8;;file:///etc/passwd\a", // link
		"\x1b[5i\x1b[4i",               // printer
		"\x1b]1337;File=:AAAA\a",       // write a file
		"\x1b_Gf=24;AAAA\x1b\\",        // draw
		"\x1b^private\x1b\\",           // private message
		"\x9b6n\x9d0;c1\x9c",           // the same by C1 controls
		"\x1bc",                        // reset
		"\x1b[?1049h\x1b[2J",           // other screen, clear
		"\xe2\x80\xaeesrever",          // text direction
	} {
		if _, err := fmt.Printf("before %s after\n", e); err != nil {
			return err
		}
	}
	return nil
}
