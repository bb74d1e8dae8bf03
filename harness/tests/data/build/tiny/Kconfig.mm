config MMU
	def_bool y

config SPARSE
	bool "Sparse memory"
	depends on MMU

config HOTPLUG
	bool "Memory hotplug"
	depends on SPARSE && !TINY

config TINY
	bool "Tiny system"

config ZONE
	bool "Device memory"
	depends on HOTPLUG
	select HIDDEN

config HIDDEN
	bool
	help
	  Book-keeping of device memory.

	  Second paragraph.

config EITHER
	bool "Needs one of two"
	depends on ZONE || TINY

config PROBE
	tristate "Probe test"
	depends on MMU

choice
	prompt "Timer frequency"
	default HZ_250

config HZ_250
	bool "250 HZ"

config HZ_1000
	bool "1000 HZ"

endchoice

config BITS
	int "Bits"
	range 10 20
	default 12
