#include "flame_palette.h"

#include <math.h>

static const char letters[FLAME_FAMILIES + 1] = "uikjnpm";

/* Ranges over which a family's shades run; percentages as in CSS hsl(). */
static const struct {
	double hue_from, hue_to;
	double light_saturation, light_lightness;
	double dark_saturation, dark_lightness;
} families[FLAME_FAMILIES] = {
	[FLAME_USER] = {6, 38, 88, 66, 58, 34},      [FLAME_INLINED] = {42, 51, 84, 74, 46, 28},
	[FLAME_KERNEL] = {204, 236, 70, 77, 42, 40}, [FLAME_JIT] = {110, 156, 48, 68, 38, 27},
	[FLAME_UNNAMED] = {20, 50, 16, 76, 10, 36},  [FLAME_PLAIN] = {215, 215, 13, 84, 8, 30},
	[FLAME_MERGED] = {215, 215, 8, 89, 6, 22},
};

enum flame_family flame_palette_family(const struct frame *frame)
{
	if (frame->kernel)
		return FLAME_KERNEL;
	if (frame->jit)
		return FLAME_JIT;
	if (!frame->symbolized)
		return FLAME_UNNAMED;
	return frame->inlined ? FLAME_INLINED : FLAME_USER;
}

unsigned flame_palette_class(enum flame_family family, const char *name)
{
	if (family == FLAME_PLAIN || family == FLAME_MERGED)
		return family * 16u;
	/* 32-bit FNV-1a; the remainder takes the high bits, which it mixes best */
	uint32_t hash = 2166136261u;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return family * 16u + (hash >> 12) % FLAME_SHADES;
}

void flame_palette_class_name(unsigned class, char name[3])
{
	name[0] = letters[class / 16];
	name[1] = "0123456789abcdef"[class % 16];
	name[2] = '\0';
}

static uint32_t channel(double hue, double saturation, double lightness, double n)
{
	/* CSS Color 4, 7.1: hsl to rgb */
	double k = fmod(n + hue / 30, 12);
	double a = saturation * fmin(lightness, 1 - lightness);
	double value = lightness - a * fmax(-1, fmin(fmin(k - 3, 9 - k), 1));
	return (uint32_t)lround(value * 255);
}

uint32_t flame_palette_rgb(unsigned class, bool dark)
{
	unsigned family = class / 16, shade = class % 16;
	double at = (double)shade / (FLAME_SHADES - 1);
	double hue = families[family].hue_from +
		     at * (families[family].hue_to - families[family].hue_from);
	double saturation =
		dark ? families[family].dark_saturation : families[family].light_saturation;
	double lightness =
		dark ? families[family].dark_lightness : families[family].light_lightness;
	/* neighbouring hues are told apart by lightness */
	if (family != FLAME_PLAIN && family != FLAME_MERGED)
		lightness += (double)(shade % 3) * (dark ? -2.5 : 3);
	saturation /= 100;
	lightness /= 100;
	return channel(hue, saturation, lightness, 0) << 16 |
	       channel(hue, saturation, lightness, 8) << 8 | channel(hue, saturation, lightness, 4);
}

static void write_rules(FILE *out, bool dark)
{
	for (unsigned family = 0; family < FLAME_FAMILIES; family++) {
		unsigned shades =
			family == FLAME_PLAIN || family == FLAME_MERGED ? 1 : FLAME_SHADES;
		for (unsigned shade = 0; shade < shades; shade++) {
			char name[3];
			flame_palette_class_name(family * 16 + shade, name);
			fprintf(out, ".%s{fill:#%06x}", name,
				(unsigned)flame_palette_rgb(family * 16 + shade, dark));
		}
	}
	fprintf(out, ".label{fill:#%06x}\n", dark ? FLAME_TEXT_DARK : FLAME_TEXT_LIGHT);
}

void flame_palette_write_css(FILE *out)
{
	write_rules(out, false);
	fputs("@media (prefers-color-scheme:dark){", out);
	write_rules(out, true);
	fputs("}\n", out);
}
