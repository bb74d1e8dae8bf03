// SPDX-License-Identifier: GPL-2.0
/*
 * declared - run a program as a declared burst: declared PROGRAM [ARGUMENT...]
 *
 * What costs the class others when it is in use: `declared sleep 1000 &` is a
 * task that is declared and does nothing.
 */
#include <stdio.h>
#include <unistd.h>

#include "modes.h"
#include "work.h"

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: declared PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	mode_burst(mode_find("agent"));
	execvp(argv[1], argv + 1);
	die("%s", argv[1]);
}
