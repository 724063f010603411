// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/cli.h"

int main(int argc, char** argv) { return kiln::run_command_line(argc, argv); }
