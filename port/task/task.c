/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/task.h"

static void (*on_return)(void); /* set before there are threads */

static _Thread_local bool aside;

void task_go_aside(void)
{
    aside = true;
}

bool task_is_aside(void)
{
    return aside;
}

void task_on_return(void (*hook)(void))
{
    on_return = hook;
}

void task_returned(void)
{
    if (on_return)
        on_return();
}
