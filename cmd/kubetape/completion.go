package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kubetape/kubetape/internal/console"
)

// The scripts ask the program itself: it prints what may come next, one a line.
var completions = map[string]string{
	"bash": `# bash completion of PROGRAM: source <(PROGRAM completion bash)
_PROGRAM_complete() {
    local cur words
    cur="${COMP_WORDS[COMP_CWORD]}"
    words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    if [[ "$cur" == -* ]]; then
        words+=("$cur")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur")
}
complete -o bashdefault -o default -F _PROGRAM_complete PROGRAM
`,
	"zsh": `#compdef PROGRAM
# zsh completion of PROGRAM: source <(PROGRAM completion zsh)
_PROGRAM_complete() {
    local -a answers
    local cur="${words[CURRENT]}"
    local -a before=("${(@)words[1,CURRENT-1]}")
    if [[ "$cur" == -* ]]; then
        before+=("$cur")
    fi
    answers=("${(@f)$("${before[@]}" --generate-bash-completion 2>/dev/null)}")
    if [[ -n "${answers[1]}" ]]; then
        compadd -a answers
    else
        _files
    fi
}
compdef _PROGRAM_complete PROGRAM
`,
	"fish": `# fish completion of PROGRAM: PROGRAM completion fish | source
function _PROGRAM_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    if string match -q -- '-*' $cur
        set -a words $cur
    end
    $words --generate-bash-completion 2>/dev/null
end
complete -c PROGRAM -a '(_PROGRAM_complete)'
`,
}

func completionCommand(name string) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a completion script for bash, zsh or fish", ArgsUsage: "bash|zsh|fish",
		BashComplete: func(c *cli.Context) { fmt.Fprint(c.App.Writer, "bash\nzsh\nfish\n") },
		Action: func(c *cli.Context) error {
			script, ok := completions[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return console.Usage("which shell? bash, zsh or fish")
			}
			program := strings.ReplaceAll(name, " ", "-") // kubectl-tape is the file's name
			_, err := fmt.Fprint(c.App.Writer, strings.ReplaceAll(script, "PROGRAM", program))
			return err
		},
	}
}
