#include "sim_command.h"

int main(int argc, char **argv)
{
    return sim_command(argc, argv);
}
