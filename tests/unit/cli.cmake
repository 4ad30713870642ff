cprof_unit_test(options USES base cli)
cprof_unit_test(suggest USES base cli)
cprof_unit_test(out_file USES base cli)
cprof_unit_test(help_page USES base cli)
