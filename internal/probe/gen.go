package probe

//go:generate go tool bpf2go -cc clang-16 -strip llvm-strip-16 -tags linux -target amd64,arm64 -type ev_header -type ev_data -type ev_exec -type ev_exit -type ev_resize -type session -type slot -type counters -type task_info -type container_info recorder ../../bpf/recorder.bpf.c -- -O2 -mcpu=v3 -Wall -Werror -Wno-unused-function -I../../bpf/include -I../../bpf
