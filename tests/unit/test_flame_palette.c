#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/flame_palette.h"

#include <math.h>
#include <string.h>

/* WCAG 2.1, relative luminance and contrast ratio. */
static double luminance(uint32_t rgb)
{
	double sum = 0;
	static const double weights[] = {0.2126, 0.7152, 0.0722};
	for (int i = 0; i < 3; i++) {
		double c = (double)(rgb >> (16 - 8 * i) & 0xff) / 255;
		c = c <= 0.03928 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
		sum += weights[i] * c;
	}
	return sum;
}

static double contrast(uint32_t a, uint32_t b)
{
	double x = luminance(a), y = luminance(b);
	return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

static double hue(uint32_t rgb)
{
	double r = (double)(rgb >> 16 & 0xff), g = (double)(rgb >> 8 & 0xff),
	       b = (double)(rgb & 0xff);
	double max = fmax(r, fmax(g, b)), range = max - fmin(r, fmin(g, b));
	if (max == r)
		return fmod((g - b) / range * 60 + 360, 360);
	return max == g ? (b - r) / range * 60 + 120 : (r - g) / range * 60 + 240;
}

static void test_flame_palette__text_is_readable_on_every_colour(void **state)
{
	(void)state;
	assert_float_equal(contrast(0x000000, 0xffffff), 21, 1e-9);
	for (unsigned family = 0; family < FLAME_FAMILIES; family++) {
		for (unsigned shade = 0; shade < FLAME_SHADES; shade++) {
			unsigned class = family * 16 + shade;
			uint32_t light = flame_palette_rgb(class, false);
			uint32_t dark = flame_palette_rgb(class, true);
			assert_true(contrast(light, FLAME_TEXT_LIGHT) >= 4.5);
			assert_true(contrast(dark, FLAME_TEXT_DARK) >= 4.5);
		}
	}
}

static void test_flame_palette__families_have_their_hues(void **state)
{
	(void)state;
	static const struct {
		enum flame_family family;
		double from, to;
	} ranges[] = {
		{FLAME_USER, 4, 40},      /* red to orange */
		{FLAME_INLINED, 40, 53},  /* yellow */
		{FLAME_JIT, 105, 160},    /* green */
		{FLAME_KERNEL, 200, 240}, /* blue */
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (unsigned shade = 0; shade < FLAME_SHADES; shade++) {
			for (int dark = 0; dark < 2; dark++) {
				double h =
					hue(flame_palette_rgb(ranges[i].family * 16 + shade, dark));
				assert_true(h >= ranges[i].from && h <= ranges[i].to);
			}
		}
	}
}

static void test_flame_palette__colour_follows_from_the_name_alone(void **state)
{
	(void)state;
	unsigned shades_used = 0;
	char name[] = "function_0";
	/* FNV-1a of "" is its offset basis 0x811c9dc5: bits from 12 on are 0x811c9 = 528841 */
	assert_int_equal(flame_palette_class(FLAME_USER, ""), 528841 % FLAME_SHADES);
	/* and of "a" it is 0xe40c292c (test vector of the FNV authors): 0xe40c2 = 934082 */
	assert_int_equal(flame_palette_class(FLAME_KERNEL, "a"),
			 FLAME_KERNEL * 16 + 934082 % FLAME_SHADES);
	for (int i = 0; i < 26; i++) {
		name[9] = (char)('a' + i);
		shades_used |= 1u << flame_palette_class(FLAME_USER, name) % 16;
	}
	assert_true(__builtin_popcount(shades_used) >= 8);
	assert_int_equal(flame_palette_class(FLAME_PLAIN, "x"), FLAME_PLAIN * 16);
}

static void test_flame_palette__kernel_and_jit_go_before_inlined(void **state)
{
	(void)state;
	struct frame frame = {.symbolized = true};
	assert_int_equal(flame_palette_family(&frame), FLAME_USER);
	frame.inlined = true;
	assert_int_equal(flame_palette_family(&frame), FLAME_INLINED);
	frame.kernel = true;
	assert_int_equal(flame_palette_family(&frame), FLAME_KERNEL);
	frame = (struct frame){.jit = true};
	assert_int_equal(flame_palette_family(&frame), FLAME_JIT);
	frame = (struct frame){.symbolized = false};
	assert_int_equal(flame_palette_family(&frame), FLAME_UNNAMED);
}

static void test_flame_palette__class_names_are_distinct(void **state)
{
	(void)state;
	char seen[FLAME_FAMILIES * FLAME_SHADES][3];
	size_t n = 0;
	for (unsigned family = 0; family < FLAME_FAMILIES; family++) {
		for (unsigned shade = 0; shade < FLAME_SHADES; shade++) {
			flame_palette_class_name(family * 16 + shade, seen[n]);
			assert_int_equal(strlen(seen[n]), 2);
			for (size_t i = 0; i < n; i++)
				assert_string_not_equal(seen[i], seen[n]);
			n++;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flame_palette__text_is_readable_on_every_colour),
		cmocka_unit_test(test_flame_palette__families_have_their_hues),
		cmocka_unit_test(test_flame_palette__colour_follows_from_the_name_alone),
		cmocka_unit_test(test_flame_palette__kernel_and_jit_go_before_inlined),
		cmocka_unit_test(test_flame_palette__class_names_are_distinct),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
