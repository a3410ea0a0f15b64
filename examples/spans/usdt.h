/* Probes that a program has built in (USDTs), for C and C++ on x86_64 and arm64: PROBE(provider, name, a, b) hands on up to
 * five numbers. What is left in the program is a `nop`, and a note of where it is and where its arguments are. libbpf and
 * others read it; the form is that of SystemTap's sys/sdt.h, which does the same for any compiler. */
#pragma once

#include <stdint.h>

/* Where this was when it was linked: tools compare it with where it is. Once in a program. */
__asm__(".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n"
	".size _.stapsdt.base, 1\n"
	".popsection\n");

#define PROBE_NOTE(provider, name, arguments) \
	"990: nop\n" \
	".pushsection .note.stapsdt, \"\", \"note\"\n" \
	".balign 4\n" \
	".4byte 992f - 991f, 994f - 993f, 3\n" \
	"991: .asciz \"stapsdt\"\n" \
	"992: .balign 4\n" \
	"993: .8byte 990b, _.stapsdt.base, 0\n" \
	".asciz \"" #provider "\"\n" \
	".asciz \"" #name "\"\n" \
	".asciz \"" arguments "\"\n" \
	"994: .balign 4\n" \
	".popsection\n"

#define PROBE0(provider, name) __asm__ volatile(PROBE_NOTE(provider, name, ""))

#define PROBE3(provider, name, a, b, c) \
	__asm__ volatile(PROBE_NOTE(provider, name, "8@%0 8@%1 8@%2") \
			 : \
			 : "r"((uint64_t)(a)), "r"((uint64_t)(b)), "r"((uint64_t)(c)))

#define PROBE5(provider, name, a, b, c, d, e) \
	__asm__ volatile(PROBE_NOTE(provider, name, "8@%0 8@%1 8@%2 8@%3 8@%4") \
			 : \
			 : "r"((uint64_t)(a)), "r"((uint64_t)(b)), "r"((uint64_t)(c)), "r"((uint64_t)(d)), \
			   "r"((uint64_t)(e)))
