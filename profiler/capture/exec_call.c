#include "exec_call.h"

#include <string.h>
#include <sys/syscall.h>

bool exec_call_is_at(struct address_space *space, uint64_t pc)
{
	/* Intel SDM vol. 2: B8+r id = mov $imm32, %eax; 0F 05 = syscall */
	static const uint8_t mov_eax = 0xb8, call[] = {0x0f, 0x05};
	uint8_t code[7];
	uint32_t number;
	if (pc < sizeof(code) || !address_space_code(space, pc - sizeof(code), code, sizeof(code)))
		return false;
	memcpy(&number, code + 1, sizeof(number));
	return code[0] == mov_eax && memcmp(code + 5, call, sizeof(call)) == 0 &&
	       (number == SYS_execve || number == SYS_execveat);
}
