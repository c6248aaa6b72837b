// A function for GNU make: $(become COMMAND) replaces the running make by COMMAND. make itself dies
// of the signal that ends its command, but `make demo` promises to end with 0 on Ctrl-C and TERM.
#include <gnumake.h>
#include <unistd.h>

int plugin_is_GPL_compatible;

static char* become(const char* name, unsigned int argc, char** argv) {
  (void)name;
  (void)argc;
  execl("/bin/bash", "bash", "-c", argv[0], (char*)0);
  return 0;
}

int become_gmk_setup(void);
int become_gmk_setup(void) {
  gmk_add_function("become", become, 1, 1, GMK_FUNC_DEFAULT);
  return 1;
}
